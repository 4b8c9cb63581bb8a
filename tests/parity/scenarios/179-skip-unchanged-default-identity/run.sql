begin; update f set a='a'; update f set n=1.00; update f set b=null; update f set b=null; update f set id=1; commit; insert into d values (1,'x'); update d set a='x';
