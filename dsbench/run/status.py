"""What the record of a run can say about how it went."""

FINAL = ("done", "diverged", "collapsed")  # results; a run with another status is trained again
