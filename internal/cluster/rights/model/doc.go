// Package model proves the rules of leases and marks: it goes through everything that may happen, breadth first, and ends at the shortest way
// to a lost write or a stale read. Its tests assert that there is none while all rules hold, and that there is one as soon as any rule is
// taken out. The package has no code but its tests; package rights implements the rules.
//
// # The world
//
// One shard has the master M and the replicas R and R2. The other masters are X and Y; every master is a register. A and B are instances.
// A state (state_test.go) holds what each of them knows. A step (next in world_test.go) is one thing that one of them does: a register handles
// one request, a replica gets one write, a master gives one vote. Any node may be as slow as it likes, any message may be lost, and any
// instance may pause between two steps, because nothing forces a step to happen: all orders are explored. A late or doubled request is a step
// without an asker (lateSteps).
//
// A round trip is one step, at the moment when the node handles it. What the instance does with the answers is a step of its own, and may
// come any time later, or never. So an answer that is late or lost needs no step: nobody acts on it.
//
// # The rules
//
//	 1  born: a register with another run ID, or another config epoch of its own, is empty and young: it grants no lease on evidence from before
//	    (since), and refuses marks for F (fence). A promoted replica of a master is a new register, whatever it copied.
//	 2  epoch: a register whose currentEpoch is above the asker's accounted epoch counts for nothing.
//	 3  mark: refused while a lease runs, and unless the register itself sees M as master, and well.
//	 4  lease: refused if the mark or the birth is younger than the question to M on which the evidence stands.
//	 5  quorum: a majority of the asker's masters, and of each set before that rule 11 keeps. All answers are of one round, at most L long.
//	 6  acknowledge: every replica has the write, or is marked as lacking it in a round that began after the execution. Replicas are those of
//	    the view, of M's own word, and of the shard's former master.
//	 7  read: the lease is checked before the command is sent. Just before the read, on the same connection, the replica has the run ID of the
//	    evidence, and is not below its offset. The run ID is older than the question to M.
//	 8  FORCE: under a forced lease, by a script that checks run ID, offset and deadline. The replica knows the same masters as the asker. The
//	    forced lease covers the election, and then a round of marks.
//	 9  evidence: from the master of the current view, which lists the replica, and has done so for longer than any answer about it is used.
//	10  accounting: (a) every node said that it was at the epoch, and four node timeouts later they agree on the owners and none is above;
//	    (b) the config epoch of a master that was promoted in it; (c) a seal that has the masters of the view.
//	11  former masters: a set of masters that was replaced stays in the quorum for F, and then until a majority of it knows no later epoch.
//
// The model counts the rules by what it does with them. In package rights they are: 1 is its rule 2, 2 and 10 are 3, 3 and 6 are 6, 4 and 9 are
// 4, 5 is 5, 7 is 7 and 8, 8 is 9, 11 is 10; its rule 1 is the part "lowest slot", and its rule 11 stands below, under time.
//
// rules_test.go lists their parts, each with the name by which it is taken out.
//
// # Time
//
// There are no clocks in the model. Where the rules compare durations, it assumes an order. Each assumption follows from the constants below,
// if the rates of any two clocks differ by at most a tenth. T = 400 ms is a lease's time, F that of a forced lease and of the fence, L = 250 ms
// that of a round, D = 250 ms the deadline of FORCE, NT the node timeout, and effect the longest time from a FORCE to the last vote that counts.
//
//	assumption                                                         stands in     because
//	a holder stops before any register that granted its lease          expire        1.1 * 3/4 T < T; one counts from the sending, the other from the receipt
//	a round of marks is over before a lease that began in it           expire        1.1 L < T
//	a fence ends after all leases from before the birth                born, expire  F >= T, and F is that of the longest lease
//	what FORCE started is over before a register's lease ends          mayEnd        F >= 1.1 (D + effect)
//	... and a round of marks that began before it was over is too      stopForce     F >= 1.1 (D + effect + L)
//	a grant that counts came less than L after it was asked for        grants        age has L added; later answers do not count
//	evidence is older than any answer in use that lacks the replica    leaseSteps    1.1 * 1.5 s < 2 s
//	no election runs in an epoch that is accounted for as nothing      account       the wait is at least effect, from when the last node was at the epoch
//	former masters stay until all leases from before are over          viewSteps     they stay for F, from the adoption
//	... and all elections that they voted in while they were masters   viewSteps     F >= 1.1 max(2 NT, 2 s)
//
// effect is 5 s + max(2 NT, 2 s): Redis may start the election up to 5 s after FORCE, and counts votes for max(2 NT, 2 s) from then.
//
// A mark or a birth that is younger than the question to M is always refused by rule 4. One that is older may be refused too: a step that may
// happen need not. So `wanted`, which only ever refuses, stands nowhere, and safety does not need it.
//
// # What is left out, and why nothing is missed
//
// A step that only takes something away adds no behaviour: a register that hears of a later epoch, that refuses for `wanted`, or that learns
// that M was deposed, answers fewer requests. The model leaves such steps out, but where hearing of an epoch lets somebody account for it
// (raise). A deposed master therefore never learns that it was deposed.
//
// reduce makes steps at once that nobody can wish to delay: evidence is complete as soon as it can be, evidence that leads nowhere is
// forgotten, a register's lease that nobody counts on ends, a round of marks without a mark begins anew. A lease ends at its holder only when
// something needs that it has ended. An instance that pauses before it acknowledges, with all answers in hand, is one that acknowledged before:
// sooner is worse for every invariant. Names that do not matter are exchanged (canonical): the instances, X and Y, the replicas. M is never
// asked whether it is alive: a dead one is one that takes no more steps.
//
// # Residuals
//
// A write acknowledged as single is lost if M then dies, or a majority flags it as failed, and Redis itself promotes the replica. So is one
// that the replica had, and lost in a restart, before Redis promoted it. acknowledge and win call Redis' own election a violation only for a
// write whose round of marks began after the win, or in whose round no majority ever saw M well. Three more are left out, each in a predicate:
// a deposed master that does not know it and votes in Redis' own election (excludedDeposedVoter), or counts for it as a witness that M is well
// (excludedDeposedWitness), and a full resync that begins and fails within the milliseconds of a forced election (excludedEmptiedCandidate).
//
// The model has no read at a deposed master, no TAKEOVER or slots assigned by hand, no clocks that are set, no master that loses what it
// executed, at most one master that is replaced, no slot that comes back, no instance that learns from a seal of former masters (package rights
// makes those masters count, and lets nobody leave a seal meanwhile), and no master without slots that gets some. It says what is never wrong, not that anything gets done.
//
// # Bounds
//
// model_test.go lists the configurations: one write or two, one replica or two, one or two epochs, one restart of each kind. Each is explored
// whole, but for one that says so (a replaced master together with Redis' own elections: twelve million states without a violation). With split roles A only writes, and B only reads and promotes. -deep adds larger ones.
package model
