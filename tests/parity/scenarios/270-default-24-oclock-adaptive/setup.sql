create table d24 (id int primary key, t time default '24:00:00', t0 time(0) default '24:00', t3 time(3) default '24:00:00', t6 time(6) default '24:00:00.000000', n time(3) not null default '24:00:00', u time default '23:59:59.9999996', tz timetz default '24:00:00+00');
insert into d24 (id) values (1);
insert into d24 values (2,null,null,null,null,'24:00:00',null,null);
