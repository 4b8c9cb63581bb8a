create table f (id int primary key, a text, b text, n numeric); alter table f replica identity full; create table d (id int primary key, a text); insert into f values (1,'a','b',1.0);
