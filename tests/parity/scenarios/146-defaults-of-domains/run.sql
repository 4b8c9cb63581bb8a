insert into dd (id) values (2);
insert into dd (id,l2,p2,n2,s,w) values (3,null,null,null,null,null);
update dd set l = 'z' where id = 2;
delete from dd where id = 2;
