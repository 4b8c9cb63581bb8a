create table s (id int primary key, v varchar(30), n numeric(6,2), t timestamp(3)); comment on column s.v is 'a remark'; insert into s values (1,'a',1,'2023-07-01 12:00:00.123');
