insert into other values (0);
\! sleep 0.4
insert into other values (1);
\! sleep 0.4
insert into other values (2);
\! sleep 0.4
insert into other values (3);
\! sleep 0.4
insert into other values (4);
\! sleep 0.4
insert into other values (5);
\! sleep 0.4
insert into other values (6);
\! sleep 0.4
insert into other values (7);
\! sleep 0.4
