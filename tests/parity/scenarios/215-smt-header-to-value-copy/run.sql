insert into e values (2,'a',2.5,null,3.25); insert into e (id,v) values (3,null); update e set v=null where id=2; update e set v='x', b='\x02ff' where id=2; update e set id=4 where id=2; delete from e where id=4;
insert into nokey values ('x', null); update nokey set v='y'; delete from nokey; delete from e;
