begin;
insert into sig values ('first','execute-snapshot','{"data-collections": ["public.inc", "public.inc2", "public.later"]}');
insert into sig values ('p1','pause-snapshot','{"type": "incremental"}');
insert into sig values ('p2','pause-snapshot','{}');
commit;
