create table tz (id int primary key, t timestamp, t0 timestamp(0), t3 timestamp(3), z timestamptz default '2023-07-01 10:00:00.5+00', tt time, zt timetz, d date);
create table tz2 (id int primary key, t timestamp); 
insert into tz values (1,'2023-03-26 02:30:00','2023-10-29 02:30:00','2023-07-01 12:00:00.123','2023-07-01 12:00:00.123456+02','10:00','10:00:00.5+02','2023-07-01');
