insert into sig values ('x3','stop-snapshot','{"type": "incremental"}');
insert into sig values ('p4','pause-snapshot','{}');
insert into sig values ('r3','resume-snapshot','{}');
insert into sig values ('third','execute-snapshot','{"data-collections": ["public.later"]}');
