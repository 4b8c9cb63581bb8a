insert into s values (2,'b',2,null); update s set v='c' where id=2; delete from s where id=2;
