insert into sig values ('s1','execute-snapshot','{"data-collections": ["public.a\\d"], "additional-conditions": [{"data-collection": "PUBLIC.a1", "filter": "kind = ''odd'' OR id = 8"}, {"data-collection": "public.a.", "filter": "id < 4"}]}');
\! sleep 4
insert into sig values ('s2','execute-snapshot','{"data-collections": ["public.other"], "surrogate-key": "n"}');
\! sleep 3
insert into sig values ('s4','execute-snapshot','{"data-collections": ["public.a1"], "additional-conditions": [{"data-collection": "public.a1", "filter": "id > 100"}]}');
\! sleep 2
insert into sig values ('s5','execute-snapshot','{"data-collections": [" public.a1 ", "public.a1", "public.(a1|a2)"], "additional-conditions": [{"data-collection": "public.a1", "filter": "id = 1"}, {"data-collection": "public.a2", "filter": "id = 2"}]}');
