import sys
src=open('/tmp/wk/mtry2.py').read().split('tot={}')[0]
exec(src)
from scipy import special
from voxgan_jax.inference.confidence import own_iou
for name,step,clay,axis,row in data:
    if len(row)<5 or any(r['guess'] is None for r in row): continue
    some=row[:3]
    S=several.search(model,[r['guess'] for r in some])
    pot=several.run(S)[0]
    print(name,round(pot.parts[0].candidate.voxel/step-1,3))
    for ds in (-.09,-.06,-.03,0,.03,.06,.09):
        p=several.rescaled(S,pot,ds); p=several.again(S,p,True)
        made,whole=several.spread(S,p.parts)
        ans=np.asarray(model.glance(jnp.asarray(whole[None,...,None],jnp.float32)))[0,...,0]
        own=own_iou(whole,ans,model.threshold)
        ans=np.where(whole,1.,ans)
        ious=[iou_of(ans,matrix(made[n],64),clay,r) for n,r in enumerate(some) if p.parts[n].placed]
        print('   ',ds,'err %.3f score %.2f L %.3f T %.2f own %.3f logit %.2f iou %s'%(p.parts[0].candidate.voxel/step-1,p.score,np.mean([q.foretold for q in p.parts if q.placed]),np.sum([q.candidate.log_share for q in p.parts if q.placed]),own,special.logit(own),np.round(ious,2)),flush=True)
