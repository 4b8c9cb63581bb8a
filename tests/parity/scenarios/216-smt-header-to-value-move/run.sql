insert into e values (2,'a'); update e set v=null where id=2;
