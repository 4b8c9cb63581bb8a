create table fl (id int primary key, r real, d double precision, ra real[], da double precision[]);
insert into fl values (1,-350444.125,2e23,'{-350444.125,524288.375}','{9.5367431640625e-7}');
