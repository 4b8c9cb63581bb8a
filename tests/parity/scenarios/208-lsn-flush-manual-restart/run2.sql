begin; insert into p values (4,'after'); delete from p where id=2; commit;
