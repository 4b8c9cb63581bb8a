insert into d24 (id) values (3);
update d24 set t = null where id = 3;
delete from d24 where id = 1;
