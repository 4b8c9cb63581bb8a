insert into s1 values (10,'stream');
