begin;
insert into sig values ('r1','resume-snapshot','{}');
insert into sig values ('p3','pause-snapshot','{}');
commit;
