create table ev (id int primary key, n numeric(8,2) not null, t text);
create table ew (id int primary key, n numeric(8,2) not null, t text);
create table ex (id int primary key, v text);
alter table ew replica identity full;
insert into ev values (1,1,'a'),(2,'NaN','b'),(3,3,'c'),(4,'NaN','d');
insert into ew values (1,'NaN','a'),(2,2,'b');
insert into ex values (1,'x');
