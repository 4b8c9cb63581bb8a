insert into s1 values (12,'initial with a position');
