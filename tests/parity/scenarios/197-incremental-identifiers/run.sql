insert into "Sig nals"."Sig Table" values ('s1','execute-snapshot','{"data-collections": ["\"Wéird Schema\".\"Ta ble\"","public.UPPER"]}');
\! sleep 4
insert into "Sig nals"."Sig Table" values ('s2','execute-snapshot','{"data-collections": ["public.\"dot.ted\""]}');
\! sleep 3
insert into "Sig nals"."Sig Table" values ('s3','execute-snapshot','{"data-collections": ["\"public\".\"UPPER\""]}');
\! sleep 3
insert into "UPPER" values (9);
