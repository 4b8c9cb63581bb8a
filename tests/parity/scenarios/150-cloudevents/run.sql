begin; insert into ce values (2, 'a "q" é', 2.5, null); insert into ce values (3, null, null, '\x'); commit;
update ce set v = 'b' where id = 2; update ce set id = 4 where id = 2; delete from ce where id = 4;
