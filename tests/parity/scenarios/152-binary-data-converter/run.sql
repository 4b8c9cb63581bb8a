insert into bd values ('a', 'b'); update bd set v = null where id = 'a'; delete from bd where id = 'a';
