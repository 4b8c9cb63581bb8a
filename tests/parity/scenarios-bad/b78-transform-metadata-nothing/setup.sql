create table t (id int primary key, a text, n int); insert into t values (1,'x',5);
