begin;
insert into sig values ('x1','stop-snapshot','{"data-collections": ["public.inc", "public.later", "public.nope"], "type": "incremental"}');
insert into sig values ('r2','resume-snapshot','{"type": "incremental"}');
commit;
