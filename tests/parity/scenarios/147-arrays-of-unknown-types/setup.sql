create type pair as (a int, b text);
create table au (id int primary key, c circle[], p path[], b box[], l lseg[], q pair[], c1 circle, q1 pair, mr int4multirange, l1 pg_lsn);
insert into au values (1,'{"<(1,2),3>",NULL}','{"[(0,0),(1,1)]"}','{(1,1),(0,0)}','{"[(0,0),(1,1)]"}','{"(1,x)"}','<(1,2),3>','(1,x)','{[1,5)}','16/B374D848');
