insert into sa values (3,'1 2 3','4 5',6,'{7,8}','{ab,cd}','{x,y}','z','{9,10}','now','pg_class','int4','{int4,text}','11','12','(1,2)','10:20:10,14','16/B374D848');
insert into sa (id, iv, ov) values (4,'','');
insert into sa (id) values (5);
