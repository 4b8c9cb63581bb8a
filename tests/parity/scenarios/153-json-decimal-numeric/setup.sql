create table dn (id numeric(10,3) primary key, a numeric(20,10) default 5, big numeric(38,0), tiny numeric(30,20), neg numeric(5,-2), m money, arr numeric(4,1)[]);
insert into dn values (1.500, 0.0000000001, 12345678901234567890123456789012345678, 0.00000000000000000001, 12345, 12.5, array[1.5,null]);
