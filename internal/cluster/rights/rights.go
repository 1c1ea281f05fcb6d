// Package rights decides who may speak for a shard whose master or replica is out of reach. The masters of the cluster are
// registers: each keeps a small hash, which only a script writes. Two things stand there about each replica.
//
// A mark says that a replica may lack what was written up to that moment. Whoever acknowledges a write that a replica lacks
// has it marked first. A lease lets an instance take a replica's word, or ask it to take over, for a moment. A lease is
// refused while the replica's evidence is older than its mark, and a mark is refused while a lease lasts. Both need a
// majority of the masters. So there is always a master at which one of the two came first.
//
// What holds, for any instances, cuts, pauses, and clocks that drift by up to a tenth:
//
//   - A write that was acknowledged is not undone by a takeover that an instance has asked for.
//   - A replica's answer that counts shows everything that was acknowledged before the read began.
//
// In peace nothing is asked. The rules, each with what would happen without it (package model explores all of this):
//
//  1. One register per master, in the lowest slot that it owns by its own word. Two views would otherwise meet at one master
//     without noticing each other. The register checks that it is the master that is asked: a node of another cluster may
//     have its address now, and would grant anything, or tell of elections that nobody here can account for.
//  2. A register that was started or promoted, or has lost its data, begins anew, and knows since when. It refuses leases on
//     older evidence, since it may have forgotten a mark, and marks until no lease that it may have forgotten can matter.
//  3. A register whose current epoch the asker cannot account for counts for nothing: it may have voted for somebody whom
//     the asker does not know, and who is acknowledging writes by now. An epoch is accounted for in three ways. A replica
//     has won it, in the asker's view. Or all nodes know it and agree on the owners after its votes have expired. Or
//     somebody has sealed it at a register, for masters that the asker knows. A master may also raise its epoch without an
//     election. A replica that has not heard of that may still be elected in the same epoch, so such an epoch is only
//     accounted for in the second way.
//  4. Evidence: the replica has reached an offset that its master had when it was asked, in one stream. The same process of
//     the replica has shown it before the master was asked: another one may be back at an old offset. The master itself
//     lists the replica, and has for longer than the list of anybody who acknowledges writes there may be old.
//  5. All grants of a right come from one round of limited length, which began after what it speaks for. Grants of several
//     rounds might be from before and after an election.
//  6. A write is acknowledged when every replica that counts has it, or is marked. The mark comes after the execution: a
//     right to acknowledge that was asked for before could be overtaken by a lease. A register marks only for a master
//     that it hears and sees as the owner, itself included. A mark that was refused is noted, and refuses leases for a
//     second: reads must not keep writes out, and FORCE is wrong while somebody reaches the master.
//  7. A lease is counted from before it was asked for, and ends for its holder at three quarters of its time.
//  8. A read checks the lease before it is sent. Then it may be late: a replica only gains. A check after the answer would
//     be of no use, since the answer may be older. The replica must be the process of the evidence, in its stream and at
//     its offset or beyond, when the read is executed: it may have begun another stream, of a master that has lost its data,
//     or of whoever answers at the master's address now.
//  9. FORCE takes a lease that outlasts whatever it starts. It runs as a script at the replica, which checks that it is the
//     process of the evidence, that it follows the master and is at the offset of that stream, that it knows the same masters (its votes
//     are counted by its own view), and that the request is not late: it may have lain in a buffer.
//  10. When the masters have changed, both the former and the new ones must grant, until no lease of the former can matter
//     and a majority of them has voted for nobody unknown. Otherwise a replica could be promoted by former masters that
//     the new majority does not know of. Who learns from a seal of other masters goes by those too.
//  11. Registers go by their wall clocks, since scripts have no other. One whose clock was set counts for nothing until no
//     lease from before can matter. Holders go by the older of the monotonic and the wall clock.
//
// Not covered: a write that only its master had is lost if that master then dies and Redis itself promotes the replica. A
// deposed master that does not know it yet answers reads with what it has. Three cuts in a row can make Redis' own election
// count the vote of a deposed master. An operator can undo anything by TAKEOVER or SETSLOT. After an election that came to
// nothing, or slots that moved, nothing is granted until all nodes agree once.
package rights
