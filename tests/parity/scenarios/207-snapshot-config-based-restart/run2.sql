insert into s1 values (12,'after the restart'); update s2 set v='y';
