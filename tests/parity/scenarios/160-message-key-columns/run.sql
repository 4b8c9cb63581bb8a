insert into k_full values (2,'p','q',2), (3,null,null,3);
update k_full set n=9 where id=2; update k_full set a='changed' where id=2; update k_full set id=20 where id=2; update k_full set b='was null' where id=3; delete from k_full where id=1;
insert into k_default values (2,'p','q'); update k_default set a='r' where id=2; update k_default set id=3 where id=2; delete from k_default where id=3;
insert into nopk values (2,null); update nopk set x=5 where x=1; update nopk set y='z' where x=5; delete from nopk where x=2;
insert into other values (1,'v'); update other set id=2 where id=1;
