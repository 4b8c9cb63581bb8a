insert into e values (1,'k','v'); insert into e values (2,'k2','v2'); update e set k='k3' where id=2; update e set id=7 where id=1; delete from e where id=2;
