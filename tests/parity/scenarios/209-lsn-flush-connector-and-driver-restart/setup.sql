create table p (id int primary key, v text); insert into p values (1,'one');
