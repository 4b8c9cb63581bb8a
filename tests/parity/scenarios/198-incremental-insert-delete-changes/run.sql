begin;
insert into sig values ('s1','execute-snapshot','{"data-collections": ["public.inc", "public.inc2"]}');
update inc set v='changed with the signal' where id in (1,5); delete from inc where id=2; insert into inc values (0,'new'),(9,'behind');
commit;
\! sleep 5
insert into sig values ('s2','execute-snapshot','{"data-collections": ["public.later"]}');
\! sleep 3
delete from sig where id = 's1';
insert into inc values (30,'end');
