insert into inc values (10,'before');
insert into sig values ('b1','execute-snapshot','{"data-collections": ["public.inc", "public.inc2", "public.nokey"], "type": "blocking", "additional-conditions": [{"data-collection": "public.inc", "filter": "SELECT * FROM public.inc WHERE id > 4"}, {"data-collection": "PUBLIC.INC2", "filter": "SELECT v, b, a FROM public.inc2 WHERE a = 1"}]}');
\! sleep 5
insert into inc values (20,'behind');
insert into sig values ('b2','execute-snapshot','{"data-collections": ["public.(later|empty)"], "type": "BLOCKING"}');
\! sleep 5
insert into inc values (21,'behind');
