insert into t values (2,'1',null,-0.01,'1969-12-31 23:59:59.999','1500-01-01 00:00:00+00','1500-01-01','00:00:00',-1e300,3.4e38,false,-1,300,'\x',null,null);
insert into t (id,a) values (3,'true');
insert into nopk values (1,'y');
update t set a='77', n=null where id=1;
update t set id=9 where id=3;
delete from t where id=2;
delete from nopk;
