insert into sig values ('s00','execute-snapshot','{"data-collections": ["public.k00"]}');
\! sleep 2
insert into sig values ('s01','execute-snapshot','{"data-collections": ["public.k01"]}');
\! sleep 2
insert into sig values ('s02','execute-snapshot','{"data-collections": ["public.k02"]}');
\! sleep 2
insert into sig values ('s03','execute-snapshot','{"data-collections": ["public.k03"]}');
\! sleep 2
insert into sig values ('s04','execute-snapshot','{"data-collections": ["public.k04"]}');
\! sleep 2
insert into sig values ('s05','execute-snapshot','{"data-collections": ["public.k05"]}');
\! sleep 2
insert into sig values ('s06','execute-snapshot','{"data-collections": ["public.k06"]}');
\! sleep 2
insert into sig values ('s07','execute-snapshot','{"data-collections": ["public.k07"]}');
\! sleep 2
insert into sig values ('s08','execute-snapshot','{"data-collections": ["public.k08"]}');
\! sleep 2
insert into sig values ('s09','execute-snapshot','{"data-collections": ["public.k09"]}');
\! sleep 2
insert into sig values ('s10','execute-snapshot','{"data-collections": ["public.k10"]}');
\! sleep 2
insert into sig values ('s11','execute-snapshot','{"data-collections": ["public.k11"]}');
\! sleep 2
insert into sig values ('s12','execute-snapshot','{"data-collections": ["public.k12"]}');
\! sleep 2
insert into sig values ('s15','execute-snapshot','{"data-collections": ["public.k15"]}');
\! sleep 2
insert into sig values ('s16','execute-snapshot','{"data-collections": ["public.k16"]}');
\! sleep 2
insert into sig values ('s17','execute-snapshot','{"data-collections": ["public.k17"]}');
\! sleep 2
insert into sig values ('s18','execute-snapshot','{"data-collections": ["public.k18"]}');
\! sleep 2
insert into sig values ('s19','execute-snapshot','{"data-collections": ["public.k19"]}');
\! sleep 2
