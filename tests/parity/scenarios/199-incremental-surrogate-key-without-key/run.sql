insert into sig values ('s1','execute-snapshot','{"data-collections": ["public.nokey"], "surrogate-key": "n"}');
\! sleep 3
insert into sig values ('s2','execute-snapshot','{"data-collections": ["public.nulls"], "surrogate-key": "n"}');
\! sleep 3
insert into nokey values (6, 'end');
