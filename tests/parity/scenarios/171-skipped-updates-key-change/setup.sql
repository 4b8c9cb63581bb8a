create table s (id int primary key, v text); insert into s values (1,'a'),(2,'b');
