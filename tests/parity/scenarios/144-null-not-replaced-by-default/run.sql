insert into dn values (2,'NaN','NaN','infinity',null,'NaN',null,null),(3,null,null,null,null,null,null,null);
insert into dn (id) values (4);
update dn set a = null where id = 4;
delete from dn where id = 4;
