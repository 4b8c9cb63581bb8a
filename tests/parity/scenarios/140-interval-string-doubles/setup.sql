create table iv (id int primary key, i interval);
insert into iv values (1,'-2 months 13 days 23:32:01.726101');
