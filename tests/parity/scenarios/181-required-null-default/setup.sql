create table rd (id int primary key, n numeric(8,2) not null default 5.25, t text);
insert into rd values (1,1,'a'),(2,'NaN','b');
create table rn (id int primary key, n numeric(8,2) not null, b bit(3)[] , t text);
create table rb (id int primary key, b bit(3)[] not null, t text);
create table rv (id int primary key, m numeric not null default 7);
