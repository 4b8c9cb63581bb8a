update s set v='skipped' where id=1; update s set id=10 where id=1; insert into s values (3,'c'); delete from s where id=2; truncate s;
