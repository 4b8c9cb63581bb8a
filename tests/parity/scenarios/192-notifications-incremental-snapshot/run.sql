insert into sig values ('first','execute-snapshot','{"data-collections": ["public.inc", "public.nokey", "public.empty", "public.inc2", "public.nope"]}');
\! sleep 6
insert into sig values ('second','execute-snapshot','{"data-collections": ["public.later"], "type": "incremental"}');
