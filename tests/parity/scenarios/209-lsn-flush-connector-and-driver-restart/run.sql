insert into p values (2,'two'); update p set v='ONE' where id=1;
