begin; update s set v='seen' where id=1; update s set id=10 where id=1; delete from s where id=2; commit; insert into s values (3,'c');
