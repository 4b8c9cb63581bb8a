insert into events values (1,'orders.created',5,'\x0102','2023-11-14 22:13:21+01'); insert into events values (2,'orders.gone',5,'',null); insert into events values (3,'other',6,null,null);
