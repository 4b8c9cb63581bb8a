create table sa (id int primary key, iv int2vector, ov oidvector, o oid, oa oid[], na name[], ca "char"[], c "char", xa xid[], rp regproc, rc regclass, rt regtype, ra regtype[], x8 xid8, cd cid, t tid, snap pg_snapshot, lsn pg_lsn);
insert into sa values (1,'1 2 3','4 5',6,'{7,8}','{ab,cd}','{x,y}','z','{9,10}','now','pg_class','int4','{int4,text}','11','12','(1,2)','10:20:10,14','16/B374D848');
insert into sa (id) values (2);
