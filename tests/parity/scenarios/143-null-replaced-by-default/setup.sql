create table dn (id int primary key, a numeric(38,10) default 1981160.81704, b numeric default 5.5, c date default '2152-10-27', t text default 'x', f float8 default 1.5, b2 bytea default '\x0102', s interval default '1 day');
insert into dn values (1,null,null,null,null,null,null,null);
