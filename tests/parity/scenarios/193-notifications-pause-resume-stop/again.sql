begin;
insert into sig values ('second','execute-snapshot','{"data-collections": ["public.inc", "public.inc2"]}');
insert into sig values ('x2','stop-snapshot','{"type": "incremental"}');
commit;
