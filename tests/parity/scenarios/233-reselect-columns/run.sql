update toast set n=2; update toast_other set id=2; insert into toast (id) values (5); \! sleep 1
update toast set n=3 where id=1; delete from toast where id=5;
